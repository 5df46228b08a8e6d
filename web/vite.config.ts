import { defineConfig } from 'vite';

// Everything is a file of its own (assetsInlineLimit 0): the Content-Security-Policy allows no data: scripts or workers.
export default defineConfig({
  base: '/graphiql/',
  build: {
    outDir: 'dist/graphiql',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4000,
    rollupOptions: {
      input: 'graphiql.html',
      onwarn: (warning, warn) => {
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning); // "use client", meant for servers
      },
    },
  },
  // `npx vite` beside a running API: the page on Vite's port, the API behind it.
  server: { proxy: { '/graphql': { target: 'http://127.0.0.1:8000', ws: true } } },
});
