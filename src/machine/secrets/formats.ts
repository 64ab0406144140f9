/** A format of credentials whose issuer has given them a prefix. */
export interface TokenFormat {
  /** The kind of credential, for messages. */
  readonly kind: string
  /** The possible prefixes. */
  readonly starts: readonly string[]
  /**
   * Matches the part after the prefix. It is sticky and bounded, because it is tried at every occurrence of a prefix in
   * a text.
   */
  readonly rest: RegExp
}

const format = (kind: string, starts: string, rest: RegExp): TokenFormat => ({
  kind,
  starts: starts.split(' '),
  rest,
})

/**
 * Credentials with a known prefix. The prefixes, lengths and alphabets are those that the issuers have documented or
 * registered for secret scanning
 * (https://docs.github.com/code-security/reference/secret-security/supported-secret-scanning-patterns).
 */
export const tokenFormats: readonly TokenFormat[] = [
  format('a private key', 'PuTTY-User-Key-File-', /\d/y),
  format('an age secret key', 'AGE-SECRET-KEY-1', /[A-Z0-9]{50,58}/y),
  format('an age secret key', 'AGE-PLUGIN-', /[A-Z0-9-]{1,30}1[A-Z0-9]{20,200}/y),
  // cloud providers
  format('an AWS access key', 'AKIA ASIA ABIA ACCA', /[A-Z0-9]{16}(?![A-Za-z0-9])/y),
  format('an AWS session token', 'IQoJb3JpZ2lu FwoGZXIvYXdz FQoGZXIvYXdz', /[\w/+=-]{50,2000}/y),
  format('an Amazon Bedrock key', 'ABSK', /[A-Za-z0-9/+]{100,300}/y),
  format('an Azure storage key', 'AccountKey= accountkey=', /[\w/+]{40,100}/y),
  format('an Azure access key', 'SharedAccessKey= sharedaccesskey=', /[\w/+]{40,100}/y),
  format('an Azure shared access signature', 'sig=', /[A-Za-z0-9/+%]{43,120}/y),
  format('a Google API key', 'AIza', /[\w-]{35}/y),
  format('a Google OAuth secret', 'GOCSPX-', /[\w-]{20,40}/y),
  format('a Google OAuth token', 'ya29.', /[\w-]{20,2000}/y),
  format('a Google OAuth token', '1//0', /[\w-]{30,300}/y),
  format('an Alibaba Cloud access key', 'LTAI', /[A-Za-z0-9]{12,26}(?![A-Za-z0-9])/y),
  format('a DigitalOcean token', 'dop_v1_ doo_v1_ dor_v1_', /[a-f0-9]{64}/y),
  format('a Scaleway access key', 'SCW', /[A-Z0-9]{17}(?![A-Za-z0-9])/y),
  format('a Fly.io token', 'fo1_ fm1a_ fm1r_ fm2_', /[\w/+-]{43,2000}/y),
  format('a Heroku key', 'HRKU-', /[\w-]{36,64}/y),
  format('a Cloudflare key', 'v1.0-', /[a-f0-9]{24}-[a-f0-9]{100,200}/y),
  format('a Netlify token', 'nfp_', /[A-Za-z0-9]{36,50}/y),
  format('a Supabase key', 'sbp_ sb_secret_', /[\w-]{30,60}/y),
  format('a PlanetScale credential', 'pscale_tkn_ pscale_oauth_ pscale_pw_', /[\w=.-]{32,64}/y),
  format('a Pulumi token', 'pul-', /[a-f0-9]{40}/y),
  format('a Databricks token', 'dapi', /[a-f0-9]{32}/y),
  format('an OpenShift token', 'sha256~', /[\w-]{43}(?![\w-])/y),
  format('a Tailscale key', 'tskey-', /[a-z]{2,20}-[\w-]{10,100}/y),
  format('a Vault token', 'hvs. hvb. hvr.', /[\w-]{24,300}/y),
  format('a Doppler token', 'dp.pt. dp.st. dp.sa. dp.ct. dp.scim. dp.audit.', /[\w.-]{40,100}/y),
  format('a 1Password token', 'ops_eyJ', /[\w/+-]{100,2000}/y),
  format('a 1Password secret key', 'A3-', /[A-Z0-9]{6}-[A-Z0-9-]{22,32}/y),
  // code hosting and package registries
  format('a GitHub token', 'ghp_ gho_ ghu_ ghs_ ghr_', /[A-Za-z0-9]{36,255}/y),
  format('a GitHub token', 'github_pat_', /\w{22,255}/y),
  format(
    'a GitLab token',
    'glpat- glrt- gldt- glcbt- glptt- glsoat- glft- glimt- glagent- gloas- glffct- glrtr- GR1348941',
    /[\w.-]{20,300}/y,
  ),
  format('an Atlassian token', 'ATATT3 ATCTT3 ATBB', /[\w=-]{20,300}/y),
  format('an npm token', 'npm_', /[A-Za-z0-9]{36}(?![A-Za-z0-9])/y),
  format('a PyPI token', 'pypi-', /Ag[\w-]{50,1000}/y),
  format('a RubyGems key', 'rubygems_', /[a-f0-9]{48}/y),
  format('a Docker Hub token', 'dckr_pat_ dckr_oat_', /[\w-]{20,100}/y),
  format('an Artifactory token', 'AKCp', /[A-Za-z0-9]{60,80}/y),
  format('an Artifactory token', 'cmVmd', /[A-Za-z0-9]{59}(?![A-Za-z0-9])/y),
  format('a Buildkite token', 'bkua_', /[a-z0-9]{40}/y),
  format('a CircleCI token', 'CCIPAT_', /[\w-]{40,100}/y),
  format('a SonarQube token', 'squ_ sqp_ sqa_', /[a-f0-9]{40}/y),
  format('a Postman key', 'PMAK-', /[a-f0-9]{24}-[a-f0-9]{34}/y),
  format('a Sourcegraph token', 'sgp_', /[\w]{40,70}/y),
  format('a Linear key', 'lin_api_ lin_oauth_', /[A-Za-z0-9]{40,64}/y),
  format('a Notion token', 'ntn_', /[A-Za-z0-9]{40,50}/y),
  format('an Airtable token', 'pat', /[A-Za-z0-9]{14}\.[a-f0-9]{64}/y),
  format('a Prefect key', 'pnu_ pnb_', /[A-Za-z0-9]{36}/y),
  format('a Figma token', 'figd_', /[\w-]{40,60}/y),
  // monitoring
  format('a Grafana token', 'glsa_', /[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}/y),
  format('a Grafana token', 'glc_ eyJrIjoi', /[\w/+]{32,400}/y),
  format('a New Relic key', 'NRAK- NRAA- NRJS- NRIQ- NRRA-', /[A-Za-z0-9-]{19,40}/y),
  format('a Sentry token', 'sntrys_ sntryu_ sntrya_ sntryi_', /[\w/+=-]{40,400}/y),
  format('a Dynatrace token', 'dt0c01. dt0s01. dt0s16.', /[A-Z0-9]{8,24}\.[A-Z0-9]{64}/y),
  // messaging and payment
  format(
    'a Slack token',
    'xoxa- xoxb- xoxc- xoxd- xoxe- xoxo- xoxp- xoxr- xoxs- xoxe.',
    /[\w.-]{10,300}/y,
  ),
  format('a Slack token', 'xapp-', /\d-[\w-]{10,300}/y),
  format('a Slack webhook', 'hooks.slack.com/', /(?:services|workflows|triggers)\/[\w/+]{30,80}/y),
  format(
    'a Discord webhook',
    'discord.com/api/webhooks/ discordapp.com/api/webhooks/',
    /\d{15,22}\/[\w-]{50,90}/y,
  ),
  format(
    'a Teams webhook',
    'webhook.office.com/webhookb2/',
    /[\w@-]{30,80}\/IncomingWebhook\/[\w/-]{30,100}/y,
  ),
  format('a Stripe key', 'sk_live_ rk_live_ sk_test_ rk_test_', /[A-Za-z0-9]{10,200}/y),
  format('a Stripe webhook secret', 'whsec_', /[\w/+=-]{24,100}/y),
  format('a Square token', 'sq0atp- sq0csp- EAAA', /[\w-]{22,80}/y),
  format('a Shopify token', 'shpat_ shpca_ shppa_ shpss_ shprt_', /[a-fA-F0-9]{32}/y),
  format('a Shippo token', 'shippo_live_ shippo_test_', /[a-fA-F0-9]{40}/y),
  format('a SendGrid key', 'SG.', /[\w-]{16,32}\.[\w-]{16,64}/y),
  format('a Brevo key', 'xkeysib- xsmtpsib-', /[a-f0-9]{64}-[A-Za-z0-9]{16}/y),
  format('a Mailgun key', 'key-', /[a-f0-9]{32}(?![A-Za-z0-9])/y),
  format('a Twilio key', 'SK', /[a-f0-9]{32}(?![A-Za-z0-9])/y),
  format('a Facebook token', 'EAAC EAAM', /[A-Za-z0-9]{100,300}/y),
  // language models
  format('an OpenAI key', 'sk-proj- sk-svcacct- sk-admin- sk-None-', /[\w-]{20,300}/y),
  format('an OpenAI key', 'sk-', /[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}/y),
  format('an Anthropic key', 'sk-ant-', /[a-z]{2,10}\d{2}-[\w-]{30,200}/y),
  format('an OpenRouter key', 'sk-or-', /v\d-[a-f0-9]{32,100}/y),
  format('a Hugging Face token', 'hf_ api_org_', /[A-Za-z]{34}(?![A-Za-z0-9])/y),
  format('a Groq key', 'gsk_', /[A-Za-z0-9]{40,64}/y),
  format('a Replicate token', 'r8_', /[A-Za-z0-9]{37,40}/y),
  format('an xAI key', 'xai-', /[A-Za-z0-9]{60,100}/y),
  format('a Perplexity key', 'pplx-', /[A-Za-z0-9]{40,60}/y),
  // clusters
  format('a swarm join token', 'SWMTKN-', /\d-[a-z0-9]{40,60}-[a-z0-9]{20,30}/y),
  format('a swarm unlock key', 'SWMKEY-', /\d-[\w+/]{40,50}/y),
  // any issuer
  format('a JSON Web Token', 'eyJ', /[\w-]{10,4000}\.eyJ[\w-]{10,8000}\.[\w-]{10,2000}/y),
]

/** Credentials whose distinctive part is not at the beginning. All quantifiers are bounded. */
export const shapes: readonly (readonly [kind: string, needle: string, shape: RegExp])[] = [
  ['an Azure client secret', 'Q~', /(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}/g],
  ['a Terraform Cloud token', '.atlasv1.', /(?<![\w])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}/g],
  ['a Mailchimp key', '-us', /(?<![\w])[a-f0-9]{32}-us\d{1,2}(?!\w)/g],
  ['a Telegram bot token', ':AA', /(?<![\w])\d{8,10}:AA[\w-]{33}(?![\w-])/g],
  [
    'a Discord bot token',
    '.',
    /(?<![\w.-])[MNO][A-Za-z0-9]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w-])/g,
  ],
]
