// Shows a job: every night it deletes carts that nobody touched for a month, a
// hundred at a time so that it stays within the time of a call.
//
// Needs a collection "carts" with the autodate field "updated".

cronAdd('tidy_carts', '17 3 * * *', () => {
  const before = new Date(Date.now() - 30 * 24 * 3600 * 1000).toISOString().replace('T', ' ')
  const stale = $app.findRecordsByFilter('carts', 'updated < {:before}', 'updated', 100, 0, { before })
  for (const cart of stale) {
    $app.delete(cart)
  }
  if (stale.length > 0) {
    console.log('deleted', stale.length, 'old carts')
  }
})
