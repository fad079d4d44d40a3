/* Fastify and pg, on Node.
 *
 * It follows https://fastify.dev/docs/latest: "Validation and Serialization" (schemas for requests, checked by Ajv, with
 * a compiler for each part of a request; schemas for replies, compiled by fast-json-stringify), "Errors" and "Plugins";
 * @fastify/jwt and @fastify/formbody as their READMEs say; and https://node-postgres.com: a pool, and named queries,
 * which are prepared once a connection. One process.
 */

import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto'
import formbody from '@fastify/formbody'
import jwt from '@fastify/jwt'
import Ajv from 'ajv'
import bcrypt from 'bcrypt'
import Fastify from 'fastify'
import pg from 'pg'

const SECRET_KEY = process.env.SECRET_KEY
const ACCESS_TOKEN_SECONDS = Number(process.env.ACCESS_TOKEN_EXPIRE_MINUTES) * 60
const REFRESH_TOKEN_MILLISECONDS = 30 * 24 * 3600 * 1000
const KEY_ID = createHmac('sha256', SECRET_KEY).update('tandem key id').digest('hex').slice(0, 16)
const CURSOR_KEY = createHmac('sha256', SECRET_KEY).update('tandem list cursor').digest()
const MAXIMUM_ID = '9223372036854775807'

// Ids and counters fit a double here; times stay text, as PostgreSQL writes them, in RFC 3339.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => text.replace(' ', 'T').replace('+00', 'Z'))

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, options: '-c timezone=utc' })

// Queries

const POST = `
SELECT p.id, p.title, p.content, p.published, p.created_at, p.updated_at,
       u.id AS owner_id, u.display_name, p.votes_up, p.votes_down,
       (SELECT v.value FROM votes v WHERE v.user_id = $1 AND v.post_id = p.id) AS my_vote,
       (SELECT string_agg(named.name, ',') FROM (SELECT t.name FROM tags t JOIN post_tags pt ON pt.tag_id = t.id
        WHERE pt.post_id = p.id ORDER BY pt.position) named) AS tags
FROM posts p JOIN users u ON u.id = p.owner_id
WHERE (p.published OR p.owner_id = $1)`
const POST_V1 = `
SELECT p.id, p.title, p.content, p.published, p.created_at,
       u.id AS owner_id, u.email, u.created_at AS owner_created_at, p.votes_up
FROM posts p JOIN users u ON u.id = p.owner_id
WHERE (p.published OR p.owner_id = $1)`

const QUERIES = {
  session:
    'SELECT user_id FROM sessions WHERE id = $1 AND user_id = $2 AND (only_token IS NULL OR only_token = $3)',
  byId: `${POST} AND p.id = $2`,
  newest: `${POST} ORDER BY p.created_at DESC, p.id DESC LIMIT $2`,
  newestWithText: `${POST} AND strpos(p.title_folded, $3) > 0 ORDER BY p.created_at DESC, p.id DESC LIMIT $2`,
  byIdV1: `${POST_V1} AND p.id = $2`,
  oldestId: `${POST_V1} ORDER BY p.id LIMIT $2 OFFSET $3`,
  oldestIdWithText: `${POST_V1} AND strpos(p.title_folded, $4) > 0 ORDER BY p.id LIMIT $2 OFFSET $3`,
  insertPost: `INSERT INTO posts
    (title, title_folded, content, published, owner_id, votes_up, votes_down, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $6) RETURNING id`,
  knownTags: 'SELECT name FROM tags WHERE name = ANY($1)',
  insertTags: 'INSERT INTO tags (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING',
  insertPostTags: `INSERT INTO post_tags (post_id, tag_id, position)
    SELECT $1, t.id, given.position - 1 FROM unnest($2::text[]) WITH ORDINALITY given (name, position)
    JOIN tags t ON t.name = given.name`,
  lockPost: `SELECT votes_up, votes_down FROM posts
    WHERE id = $1 AND (published OR owner_id = $2) FOR NO KEY UPDATE`,
  vote: 'SELECT value FROM votes WHERE user_id = $1 AND post_id = $2',
  putVote: `INSERT INTO votes (user_id, post_id, value, created_at) VALUES ($1, $2, $3, now())
    ON CONFLICT (user_id, post_id) DO UPDATE SET value = excluded.value, created_at = excluded.created_at`,
  count: `UPDATE posts SET votes_up = votes_up + $2, votes_down = votes_down + $3, revision = revision + 1
    WHERE id = $1 RETURNING votes_up, votes_down`,
  credentials: 'SELECT id, password_hash FROM users WHERE email_key = $1',
  lockHash: 'SELECT password_hash FROM users WHERE id = $1 FOR UPDATE',
  endOldSessions: 'DELETE FROM sessions WHERE user_id = $1 AND expires_at < $2',
  beginSession: 'INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)',
  keepRefreshToken:
    'INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at) VALUES ($1, $2, $3, $4)'
}

async function rows (connection, name, ...values) {
  return (await connection.query({ name, text: QUERIES[name], values })).rows
}

async function inTransaction (work) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

// Schemas

const text = '^[^\\u0000\\ud800-\\udfff]*$'
const integer = { type: 'integer' }
const string = { type: 'string' }
const nullableString = { type: ['string', 'null'] }

function record (properties) {
  return { type: 'object', properties, required: Object.keys(properties) }
}

const votes = record({ up: integer, down: integer, score: integer })
const post = record({
  id: integer,
  title: string,
  content: string,
  published: { type: 'boolean' },
  tags: { type: 'array', items: string },
  author: record({ id: integer, display_name: string }),
  votes,
  my_vote: { type: ['integer', 'null'] },
  created_at: string,
  updated_at: string
})
const postPage = record({
  data: { type: 'array', items: post },
  page: record({ limit: integer, next_cursor: nullableString, prev_cursor: nullableString })
})
const voteResult = record({ value: integer, votes })
const tokenPair = record({ access_token: string, token_type: string, expires_in: integer, refresh_token: string })
const postWithVotes = record({
  Post: record({
    id: integer,
    title: string,
    content: string,
    published: { type: 'boolean' },
    created_at: string,
    owner_id: integer,
    owner: record({ id: integer, email: string, created_at: string })
  }),
  votes: integer
})
const problem = {
  type: 'object',
  properties: {
    type: string,
    title: string,
    status: integer,
    detail: string,
    instance: string,
    code: string,
    request_id: string,
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: { detail: string, pointer: string, parameter: string, code: string }
      }
    }
  }
}
const oldError = record({ detail: string })

const idParams = record({ id: { type: 'string', pattern: '^[1-9][0-9]{0,18}$' } })
const postBody = {
  type: 'object',
  properties: {
    title: { type: 'string', minLength: 1, maxLength: 300, pattern: text },
    content: { type: 'string', minLength: 1, maxLength: 50000, pattern: text },
    published: { type: 'boolean', default: true },
    tags: { type: 'array', maxItems: 10, default: [], items: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,31}$' } }
  },
  required: ['title', 'content'],
  additionalProperties: false
}
const voteBody = {
  type: 'object',
  properties: { value: { type: 'integer', enum: [1, -1] } },
  required: ['value'],
  additionalProperties: false
}
const loginForm = record({
  grant_type: { const: 'password' },
  username: { type: 'string', pattern: text },
  password: { type: 'string', maxLength: 1024, pattern: text }
})
const listQuery = {
  type: 'object',
  properties: {
    limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
    q: { type: 'string', pattern: text, default: '' }
  }
}
const listQueryV1 = {
  type: 'object',
  properties: {
    limit: { type: 'integer', minimum: 0, maximum: 1000, default: 10 },
    skip: { type: 'integer', minimum: 0, default: 0 },
    search: { type: 'string', pattern: text, default: '' }
  }
}

// The application

const app = Fastify()
const compilers = {
  body: new Ajv({ useDefaults: true, allowUnionTypes: true }),
  params: new Ajv({ coerceTypes: true }),
  querystring: new Ajv({ coerceTypes: true, useDefaults: true })
}
app.setValidatorCompiler(({ schema, httpPart }) => compilers[httpPart].compile(schema))
app.register(formbody)
app.register(jwt, {
  secret: SECRET_KEY,
  sign: { algorithm: 'HS256', iss: 'tandem', aud: 'tandem', kid: KEY_ID, header: { typ: 'at+jwt' } },
  verify: {
    algorithms: ['HS256'],
    allowedIss: 'tandem',
    allowedAud: 'tandem',
    requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],
    complete: true
  }
})
app.decorateRequest('viewer', null)

class Refused extends Error {
  constructor (statusCode, headers = {}) {
    super('refused')
    this.statusCode = statusCode
    this.headers = headers
  }
}

const unauthenticated = () => new Refused(401, { 'www-authenticate': 'Bearer' })

async function authenticate (request) {
  let token
  try {
    token = await request.jwtVerify()
  } catch {
    throw unauthenticated()
  }
  if (token.header.typ !== 'at+jwt' || token.header.kid !== KEY_ID) throw unauthenticated()
  const claims = token.payload
  const { sub, sid, jti, iat, exp } = claims
  if (typeof sub !== 'string' || typeof sid !== 'string' || typeof jti !== 'string') throw unauthenticated()
  if (!/^[1-9][0-9]{0,18}$/.test(sub) || exp - iat > ACCESS_TOKEN_SECONDS) throw unauthenticated()
  const [session] = await rows(pool, 'session', sid, sub, jti)
  if (session === undefined) throw unauthenticated()
  request.viewer = session.user_id
}

async function authenticateIfAny (request) {
  if (request.headers.authorization !== undefined) await authenticate(request)
}

function idOf (request) {
  const { id } = request.params
  if (id.length === 19 && id > MAXIMUM_ID) throw new Refused(422)
  return id
}

function postOf (row, viewer) {
  return {
    id: row.id,
    title: row.title,
    content: row.content,
    published: row.published,
    tags: row.tags === null ? [] : row.tags.split(','),
    author: { id: row.owner_id, display_name: row.display_name ?? `user-${row.owner_id}` },
    votes: { up: row.votes_up, down: row.votes_down, score: row.votes_up - row.votes_down },
    my_vote: viewer === null ? null : row.my_vote ?? 0,
    created_at: row.created_at,
    updated_at: row.updated_at
  }
}

function postWithVotesOf (row) {
  return {
    Post: {
      id: row.id,
      title: row.title,
      content: row.content,
      published: row.published,
      created_at: row.created_at,
      owner_id: row.owner_id,
      owner: { id: row.owner_id, email: row.email, created_at: row.owner_created_at }
    },
    votes: row.votes_up
  }
}

function nextCursor (path, filters, createdAt, id) {
  const payload = JSON.stringify([2, false, [{ time: createdAt.replace('Z', '+00:00') }, id], 0])
  const bound = createHash('sha256').update(JSON.stringify([path, filters])).digest()
  const signature = createHmac('sha256', CURSOR_KEY).update(bound).update(payload).digest().subarray(0, 16)
  return Buffer.concat([signature, Buffer.from(payload)]).toString('base64url')
}

const refusals = { 401: problem, 404: problem, 422: problem }
const oldRefusals = { 401: oldError, 404: oldError, 422: oldError }

app.get(
  '/v2/posts/:id',
  { schema: { params: idParams, response: { 200: post, ...refusals } }, onRequest: authenticateIfAny },
  async (request) => {
    const [row] = await rows(pool, 'byId', request.viewer, idOf(request))
    if (row === undefined) throw new Refused(404)
    return postOf(row, request.viewer)
  }
)

app.get(
  '/v2/posts',
  { schema: { querystring: listQuery, response: { 200: postPage, ...refusals } }, onRequest: authenticateIfAny },
  async (request, reply) => {
    const { limit, q } = request.query
    const found = q
      ? await rows(pool, 'newestWithText', request.viewer, limit + 1, q.toLowerCase())
      : await rows(pool, 'newest', request.viewer, limit + 1)
    const shown = found.slice(0, limit)
    let cursor = null
    if (found.length > limit) {
      const last = shown[limit - 1]
      cursor = nextCursor('/v2/posts', q ? { q } : {}, last.created_at, last.id)
      const given = new URLSearchParams(request.url.split('?')[1] ?? '')
      given.set('cursor', cursor)
      reply.header('link', `</v2/posts?${given}>; rel="next"`)
    }
    return {
      data: shown.map((row) => postOf(row, request.viewer)),
      page: { limit, next_cursor: cursor, prev_cursor: null }
    }
  }
)

app.post(
  '/v2/posts',
  { schema: { body: postBody, response: { 201: post, ...refusals } }, onRequest: authenticate },
  async (request, reply) => {
    const { title, content, published, tags } = request.body
    const names = [...new Set(tags)]
    const row = await inTransaction(async (client) => {
      const [{ id }] = await rows(
        client, 'insertPost', title, title.toLowerCase(), content, published, request.viewer, new Date()
      )
      if (names.length > 0) {
        const known = await rows(client, 'knownTags', names)
        if (known.length < names.length) await rows(client, 'insertTags', names.toSorted())
        await rows(client, 'insertPostTags', id, names)
      }
      const [row] = await rows(client, 'byId', request.viewer, id)
      return row
    })
    reply.code(201).header('location', `/v2/posts/${row.id}`)
    return postOf(row, request.viewer)
  }
)

app.put(
  '/v2/posts/:id/vote',
  { schema: { params: idParams, body: voteBody, response: { 200: voteResult, ...refusals } }, onRequest: authenticate },
  async (request) => {
    const id = idOf(request)
    const { value } = request.body
    const counters = await inTransaction(async (client) => {
      const [post] = await rows(client, 'lockPost', id, request.viewer)
      if (post === undefined) throw new Refused(404)
      const before = (await rows(client, 'vote', request.viewer, id))[0]?.value
      if (before === value) return post
      await rows(client, 'putVote', request.viewer, id, value)
      const [counted] = await rows(
        client, 'count', id, (value === 1) - (before === 1), (value === -1) - (before === -1)
      )
      return counted
    })
    const { votes_up: up, votes_down: down } = counters
    return { value, votes: { up, down, score: up - down } }
  }
)

// passlib's bcrypt_sha256, version 2: bcrypt over the base64 of HMAC-SHA256 under the salt
async function passwordFits (password, kept) {
  const found = /^\$bcrypt-sha256\$v=2,t=2b,r=(\d+)\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})$/.exec(kept ?? '')
  if (found === null) {
    await bcrypt.compare(password, '$2b$04$.P3H5t5jeYf4HuopnvKKcuzQhQmCzl7mJJ3Ti1tV09he7goRwBlum')
    return false
  }
  const [, rounds, salt, digest] = found
  const key = createHmac('sha256', salt).update(password).digest('base64')
  return bcrypt.compare(key, `$2b$${rounds.padStart(2, '0')}$${salt}${digest}`)
}

app.post(
  '/v2/auth/token',
  { schema: { body: loginForm, response: { 200: tokenPair } } },
  async (request, reply) => {
    const { username, password } = request.body
    const [known] = await rows(pool, 'credentials', username.toLowerCase())
    if (!(await passwordFits(password, known?.password_hash))) throw new Refused(400)
    const sessionId = randomBytes(16).toString('hex')
    const refreshToken = randomBytes(32).toString('base64url')
    const refreshHash = createHash('sha256').update(refreshToken).digest('hex')
    const moment = new Date()
    const until = new Date(moment.getTime() + REFRESH_TOKEN_MILLISECONDS)
    await inTransaction(async (client) => {
      const [locked] = await rows(client, 'lockHash', known.id)
      if (locked?.password_hash !== known.password_hash) throw new Refused(400)
      await rows(client, 'endOldSessions', known.id, moment)
      await rows(client, 'beginSession', sessionId, known.id, moment, until)
      await rows(client, 'keepRefreshToken', refreshHash, sessionId, moment, until)
    })
    const issued = Math.floor(Date.now() / 1000)
    const accessToken = app.jwt.sign({
      sub: String(known.id),
      sid: sessionId,
      jti: randomBytes(16).toString('hex'),
      iat: issued,
      exp: issued + ACCESS_TOKEN_SECONDS
    })
    reply.header('cache-control', 'no-store')
    return {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: ACCESS_TOKEN_SECONDS,
      refresh_token: refreshToken
    }
  }
)

app.get(
  '/v1/posts/:id',
  { schema: { params: idParams, response: { 200: postWithVotes, ...oldRefusals } }, onRequest: authenticate },
  async (request) => {
    const [row] = await rows(pool, 'byIdV1', request.viewer, idOf(request))
    if (row === undefined) throw new Refused(404)
    return postWithVotesOf(row)
  }
)

app.get(
  '/v1/posts',
  {
    schema: {
      querystring: listQueryV1,
      response: { 200: { type: 'array', items: postWithVotes }, ...oldRefusals }
    },
    onRequest: authenticate
  },
  async (request) => {
    const { limit, skip, search } = request.query
    const found = search
      ? await rows(pool, 'oldestIdWithText', request.viewer, limit, skip, search.toLowerCase())
      : await rows(pool, 'oldestId', request.viewer, limit, skip)
    return found.map(postWithVotesOf)
  }
)

app.get('/livez', { schema: { response: { 200: record({ status: string }) } } }, async () => ({ status: 'ok' }))

// Errors

const PROBLEMS = {
  401: ['unauthenticated', 'Unauthenticated', 'Could not validate credentials'],
  404: ['post-not-found', 'Post Not Found', 'No such post'],
  422: ['invalid-request', 'Invalid Request', 'The request is invalid; see `errors`']
}

app.setErrorHandler((error, request, reply) => {
  const status = error.validation ? 422 : error.statusCode ?? 500
  const [code, title, detail] = PROBLEMS[status] ?? ['refused', 'Refused', 'Refused']
  const path = request.url.split('?')[0]
  reply.code(status).headers(error.headers ?? {})
  if (path.startsWith('/v1')) return { detail }
  const content = {
    type: `/problems/${code}`,
    title,
    status,
    detail,
    instance: path,
    code,
    request_id: requestId(request.headers['x-request-id'])
  }
  if (error.validation) content.errors = error.validation.map((found) => partOf(found, error.validationContext))
  reply.type('application/problem+json')
  return content
})

function partOf (found, context) {
  const added = found.params.additionalProperty ?? found.params.missingProperty
  const path = added === undefined ? found.instancePath : `${found.instancePath}/${added}`
  const where = context === 'body' ? { pointer: `#${path}` } : { parameter: path.slice(1) }
  return { detail: found.message, ...where, code: found.keyword }
}

function requestId (given) {
  return given && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : randomUUID().replaceAll('-', '')
}

process.on('SIGTERM', async () => {
  await app.close()
  await pool.end()
})
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
