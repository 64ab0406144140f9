/** The longest path of a Unix socket, in bytes: that of macOS (Linux has 108). */
export const longestSocketPath = 103
