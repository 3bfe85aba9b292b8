// A reverse proxy of @fastify/http-proxy: /bench/* to UPSTREAM, prefix stripped. No rules.
const fastify = require('fastify')({ logger: false });
fastify.register(require('@fastify/http-proxy'), {
  upstream: process.env.UPSTREAM,
  prefix: '/bench',
  rewritePrefix: '',
  undici: { connections: 128, pipelining: 1 },
});
fastify.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
