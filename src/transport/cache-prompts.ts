import type { Prompt } from './ssh/connect.ts'

/**
 * Creates a prompt that shares answers between connections, such as the passphrase of a key that many hosts accept. A
 * shared question that was not answered is not asked again.
 */
export function cachePrompts(prompt: Prompt): Prompt {
  const answers = new Map<string, Promise<string>>()
  return (question) => {
    const { sharedAs } = question
    if (sharedAs === undefined) return prompt(question)
    const answer = answers.get(sharedAs) ?? prompt(question)
    answers.set(sharedAs, answer)
    return answer
  }
}
