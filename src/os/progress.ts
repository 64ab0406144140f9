/**
 * Reports the current step of work, and optionally a detail of that step. Another step ends the one before it, the same step
 * with another detail updates it.
 */
export type Progress = (step: string, detail?: string) => void
