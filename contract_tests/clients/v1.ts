// What a client of version 1 does, written against the types made from the document.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema_v1.js";

type Post = components["schemas"]["Post"];

/** The value that was promised for this status; throws what came instead. */
function got<T>(reply: { data?: T; error?: unknown; response: Response }, status: number): T {
  if (reply.response.status !== status || reply.error !== undefined) {
    throw new Error(`${reply.response.status} instead of ${status}: ${JSON.stringify(reply.error)}`);
  }
  return reply.data as T;
}

export async function scenario(baseUrl: string, word: string) {
  const email = `${word}@example.com`;
  const anonymous = createClient<paths>({ baseUrl });
  const user = got(await anonymous.POST("/v1/users", { body: { email, password: "correct horse" } }), 201);
  const login = await anonymous.POST("/v1/login", {
    body: { username: email, password: "correct horse" },
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  });
  const headers = { Authorization: `Bearer ${got(login, 200).access_token}` };
  const client = createClient<paths>({ baseUrl, headers });

  const written: Post[] = [];
  for (const title of ["one", "two", "three"]) {
    const body = { title: `${word} ${title}`, content: "some content", published: true };
    written.push(got(await client.POST("/v1/posts", { body }), 201));
  }
  const [one, two] = written as [Post, Post, Post];

  const titles = async () => {
    const found: string[] = [];
    for (let skip = 0; ; skip += 2) {
      const query = { search: word, limit: 2, skip };
      const page = got(await client.GET("/v1/posts", { params: { query } }), 200);
      found.push(...page.map((row) => row.Post.title.replace(`${word} `, "")));
      if (page.length < 2) return found;
    }
  };
  const listed = await titles();

  const at = (post: Post) => ({ params: { path: { post_id: post.id } } });
  const replaced = { title: `${word} replaced`, content: "other content", published: true };
  got(await client.PUT("/v1/posts/{post_id}", { ...at(one), body: replaced }), 200);
  got(await client.PATCH("/v1/posts/{post_id}", { ...at(two), body: { title: `${word} patched` } }), 200);
  got(await client.POST("/v1/vote", { body: { post_id: one.id, dir: 1 } }), 201);
  const read = got(await client.GET("/v1/posts/{post_id}", at(one)), 200);

  got(await client.DELETE("/v1/posts/{post_id}", at(two)), 204);
  const missing = await client.GET("/v1/posts/{post_id}", at(two));
  const invalid = await client.POST("/v1/vote", { body: { post_id: 0, dir: 1 } });
  return {
    author: read.Post.owner_id === user.id && read.Post.owner.email === email,
    listed,
    votes: read.votes,
    left: await titles(),
    missing: missing.response.status === 404 && missing.error?.detail === "No such post",
    invalid: invalid.response.status === 422 && typeof invalid.error?.detail !== "string",
  };
}
