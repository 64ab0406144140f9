import { expect, test } from 'vitest'
import { parseTemplate, renderTemplate } from '../../../src/ui/template.ts'

const machine = {
  name: 'web-1',
  host: { address: '192.0.2.1', port: 22 },
  labels: { role: 'web', 'app.kubernetes.io/name': 'x' },
  ports: [80, 443],
  none: [],
  off: false,
}

test.each([
  ['{{.name}}', 'web-1'],
  ['{{.Name}} {{.HOST.address}}', 'web-1 192.0.2.1'],
  [String.raw`{{.name}}\t{{.host.port}}\n`, 'web-1\t22\n'],
  ['{{.missing}}/{{.name.x}}', '<no value>/<no value>'],
  ['{{.constructor}}{{.__proto__}}', '<no value><no value>'],
  ['{{json .ports}} {{json .missing}}', '[80,443] null'],
  ['{{prettyjson .ports}}', '[\n    80,\n    443\n]'],
  ['{{.host}}', '{"address":"192.0.2.1","port":22}'],
  ['{{index .labels "app.kubernetes.io/name"}}{{index .ports 1}}', 'x443'],
  ['{{range .ports}}<{{.}}>{{end}}', '<80><443>'],
  ['{{range .none}}x{{else}}none{{end}}', 'none'],
  ['{{range .ports}}{{$.name}}:{{.}} {{end}}', 'web-1:80 web-1:443 '],
  ['{{with .host}}{{.address}}{{end}}', '192.0.2.1'],
  ['{{if .off}}on{{else if eq .name "web-1"}}it{{else}}no{{end}}!', 'it!'],
  ['{{if and .name (not .off)}}yes{{end}}', 'yes'],
  ['{{.name | upper | lower}}', 'web-1'],
  ['{{join .ports ", "}} {{len .ports}} {{title "a b"}}', '80, 443 2 A B'],
  ['{{ .name -}}   ! {{- /* a }} comment */ -}} ?', 'web-1!?'],
  ['{{"a}}b"}}{{`c`}}', 'a}}bc'],
])('%s prints %j', (source, text) => {
  expect(renderTemplate(parseTemplate(source), machine)).toBe(text)
})

test.each([
  ['{{.name', 'a "{{" or "}}" has no match'],
  ['{{if .x}}', 'an {{end}} is missing'],
  ['{{end}}', '{{end}}'],
  ['{{else}}', 'outside a block'],
  ['{{nothing .x}}', 'unknown function nothing'],
  ['{{}}', 'empty'],
  ['{{(.x}}', 'a "(" has no matching ")"'],
  ['{{.x)}}', 'a ")" has no matching "("'],
  ['{{.x | .y}}', '"|" must be followed by a function'],
  ['{{.x & 1}}', 'cannot parse "& 1"'],
  ['{{'.concat('('.repeat(100), '.', ')'.repeat(100), '}}'), 'too deeply nested'],
])('%s is a usage error', (source, message) => {
  expect(() => parseTemplate(source)).toThrow(
    expect.objectContaining({ kind: 'usage', message: expect.stringContaining(message) }),
  )
})
