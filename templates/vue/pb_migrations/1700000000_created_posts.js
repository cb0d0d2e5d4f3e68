// Posts that only their author sees and changes, and mails that link to this app.
migrate((app) => {
  const users = app.findCollectionByNameOrId('users')
  const mine = 'author = @request.auth.id'

  app.save(new Collection({
    type: 'base',
    name: 'posts',
    listRule: mine,
    viewRule: mine,
    createRule: `@request.auth.id != "" && ${mine}`,
    // The second part keeps authors from giving a post to somebody else.
    updateRule: `${mine} && (@request.body.author:isset = false || @request.body.${mine})`,
    deleteRule: mine,
    fields: [
      { name: 'title', type: 'text', required: true, max: 200 },
      { name: 'published', type: 'bool' },
      { name: 'author', type: 'relation', collectionId: users.id, maxSelect: 1, required: true, cascadeDelete: true },
      { name: 'created', type: 'autodate', onCreate: true },
      { name: 'updated', type: 'autodate', onCreate: true, onUpdate: true },
    ],
    indexes: ['CREATE INDEX idx_posts_author ON posts (author, created)'],
  }))

  // {APP_URL} is the "Application URL" of the project's settings: while you develop, where this app is served.
  users.resetPasswordTemplate.body = users.resetPasswordTemplate.body.replace('/_/#/auth/confirm-password-reset/{TOKEN}', '/reset-password?token={TOKEN}')
  app.save(users)
  const settings = app.settings()
  if (settings.meta.appURL == 'http://localhost:8090') settings.meta.appURL = 'http://localhost:5173'
  app.save(settings)
}, (app) => {
  app.delete(app.findCollectionByNameOrId('posts'))

  const users = app.findCollectionByNameOrId('users')
  users.resetPasswordTemplate.body = users.resetPasswordTemplate.body.replace('/reset-password?token={TOKEN}', '/_/#/auth/confirm-password-reset/{TOKEN}')
  app.save(users)
})
