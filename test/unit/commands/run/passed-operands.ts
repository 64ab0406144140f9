/** What commands that docker runs are given, where it is not one container, `app`. */
export const passedOperands: Readonly<Record<string, readonly string[]>> = {
  docker: ['version'],
  compose: ['ls'],
  'image import': ['-'],
  'network connect': ['front', 'app'],
  'network disconnect': ['front', 'app'],
  'container rename': ['app', 'other'],
}
