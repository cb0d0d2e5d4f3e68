// Shows a check that a collection's rules cannot do: an order is refused, with a
// message for people, when another collection says that there is not enough.
//
// Needs a collection "products" with the number "stock", and a collection
// "orders" with a relation "product" and the number "amount".

onRecordCreateRequest((e) => {
  const product = $app.findRecordById('products', e.record.getString('product'))
  const left = product.getInt('stock')
  if (e.record.getInt('amount') > left) {
    throw new BadRequestError(`There are only ${left} left.`)
  }
  e.next()
}, 'orders')
