// Shows an outgoing HTTP call with a secret, after a sign-up is stored: a mailing
// service is told about the new user. When it does not answer the sign-up stands,
// and the hook's log says why.
//
//   picobase hooks secrets set MAIL_URL <<< https://mail.example.com/welcome
//   picobase hooks secrets set MAIL_TOKEN < token.txt
//
// Webhooks do this too, retry for a day, and need no code. A hook is for what
// depends on the record.

onRecordAfterCreateSuccess((e) => {
  e.next()
  try {
    const answer = $http.send({
      method: 'POST',
      url: $secrets.get('MAIL_URL'),
      headers: { 'content-type': 'application/json', authorization: 'Bearer ' + $secrets.get('MAIL_TOKEN') },
      body: JSON.stringify({ to: e.record.getString('email'), name: e.record.getString('name') }),
      timeout: 5,
    })
    if (answer.statusCode >= 300) {
      console.error('the mailing service answered', answer.statusCode)
    }
  } catch (error) {
    console.error('no answer from the mailing service:', error.message)
  }
}, 'users')
