// Shows a module: what several hooks need, required by slug.pb.js and hello.pb.js.
// Only *.pb.js files at the top of a folder register hooks; all others are there
// to be required.

/**
 * Makes "Crème brûlée!" into "creme-brulee".
 * @param {string} text
 */
function slugify(text) {
  return text
    .normalize('NFD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
}

module.exports = { slugify }
