/**
 * Reports the current step of an operation, and optionally a detail of the step. A new step ends the previous step; the
 * same step with another detail updates it.
 */
export type Progress = (step: string, detail?: string) => void
