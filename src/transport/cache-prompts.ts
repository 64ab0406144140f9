import type { Prompt } from './ssh/connect.ts'

/**
 * Shares answers between connections, such as the passphrase of a key that opens many hosts. A prompt that was
 * not answered is not repeated.
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
