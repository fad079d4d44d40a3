// What a client of version 2 does, written against the types made from the document.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema_v2.js";

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
  const user = got(await anonymous.POST("/v2/users", { body: { email, password: "correct horse" } }), 201);
  const login = await anonymous.POST("/v2/auth/token", {
    body: { grant_type: "password", username: email, password: "correct horse" },
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  });
  const headers = { Authorization: `Bearer ${got(login, 200).access_token}` };
  const client = createClient<paths>({ baseUrl, headers });

  const written: Post[] = [];
  for (const title of ["one", "two", "three"]) {
    const body = { title: `${word} ${title}`, content: "some content", published: true, tags: ["a-tag"] };
    written.push(got(await client.POST("/v2/posts", { body }), 201));
  }
  const [one, two] = written as [Post, Post, Post];

  const titles = async () => {
    const found: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const query = { q: word, tag: ["a-tag"], limit: 2, sort: "created_at" as const, ...(cursor ? { cursor } : {}) };
      const list = got(await client.GET("/v2/posts", { params: { query } }), 200);
      found.push(...list.data.map((post) => post.title.replace(`${word} `, "")));
      cursor = list.page.next_cursor;
    }
    return found;
  };
  const listed = await titles();

  const at = (post: Post) => ({ params: { path: { post_id: post.id } } });
  const replaced = { title: `${word} replaced`, content: "other content", published: true, tags: ["a-tag"] };
  got(await client.PUT("/v2/posts/{post_id}", { ...at(one), body: replaced }), 200);
  const patch = { body: { title: `${word} patched` }, headers: { "Content-Type": "application/merge-patch+json" } };
  got(await client.PATCH("/v2/posts/{post_id}", { ...at(two), ...patch }), 200);
  got(await client.PUT("/v2/posts/{post_id}/vote", { ...at(one), body: { value: 1 } }), 200);
  const read = got(await client.GET("/v2/posts/{post_id}", at(one)), 200);

  got(await client.DELETE("/v2/posts/{post_id}", at(two)), 204);
  const missing = await client.GET("/v2/posts/{post_id}", at(two));
  const invalid = await client.POST("/v2/posts", { body: { ...replaced, title: "" } });
  return {
    author: read.author.id === user.id && read.author.display_name === user.display_name && read.my_vote === 1,
    listed,
    votes: read.votes.score,
    left: await titles(),
    missing: missing.response.status === 404 && missing.error?.code === "post-not-found",
    invalid: invalid.error?.status === 422 && "errors" in invalid.error && invalid.error.errors[0]?.pointer === "#/title",
  };
}
