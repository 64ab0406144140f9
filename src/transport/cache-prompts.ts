import type { Prompt } from './ssh/connect.ts'

/**
 * Asks once what several connections need alike: the passphrase of a key that opens two hundred hosts. What nobody answered
 * is not asked again.
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
