// Shows how to fill a field before a record is stored, and a shared module:
// posts get a slug made of their title, unless the request brings one.
//
// Needs a collection "posts" with the text fields "title" and "slug".

const { slugify } = require(`${__hooks}/lib/text.js`)

onRecordCreate((e) => {
  if (!e.record.getString('slug')) {
    e.record.set('slug', slugify(e.record.getString('title')))
  }
  e.next()
}, 'posts')
