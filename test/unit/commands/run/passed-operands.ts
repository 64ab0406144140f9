/** What commands that docker runs are given, where it is not one container, `app`. */
export const passedOperands: Readonly<Record<string, readonly string[]>> = {
  docker: ['version'],
  compose: ['ls'],
  'image import': ['-'],
  'container rename': ['app', 'other'],
}
