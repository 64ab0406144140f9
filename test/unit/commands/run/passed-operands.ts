/** Operands for the tests of commands that docker runs. The default operand is the container `app`. */
export const passedOperands: Readonly<Record<string, readonly string[]>> = {
  docker: ['version'],
  compose: ['ls'],
  'image import': ['-'],
  'network connect': ['front', 'app'],
  'network disconnect': ['front', 'app'],
  'container rename': ['app', 'other'],
}
