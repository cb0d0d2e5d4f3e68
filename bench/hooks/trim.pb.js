// The one small hook that creates are measured with.
onRecordCreate((e) => {
  e.record.set('title', e.record.getString('title').trim())
  e.next()
}, 'bench_writes')
