// Shows an outgoing HTTP call with a secret, after a sign-up is stored: a mailing
// service is told about the new user. When it does not answer the sign-up stands,
// and the hook's log says why.
//
//   picobase hooks secrets set MAIL_URL <<< https://mail.example.com/welcome
//   picobase hooks secrets set MAIL_TOKEN < token.txt
//
// The call counts as time of the hook (jshooks.timeoutMs): a service that is slower
// ends the hook, and the client is told so although the sign-up stands. Such a
// service is better told by a job that looks for new users.

onRecordAfterCreateSuccess((e) => {
  e.next()
  try {
    const answer = $http.send({
      method: 'POST',
      url: $secrets.get('MAIL_URL') ?? '',
      headers: { 'content-type': 'application/json', authorization: 'Bearer ' + $secrets.get('MAIL_TOKEN') },
      body: JSON.stringify({ to: e.record.getString('email'), name: e.record.getString('name') }),
    })
    if (answer.statusCode >= 300) {
      console.error('the mailing service answered', answer.statusCode)
    }
  } catch (error) {
    console.error('no answer from the mailing service:', error)
  }
}, 'users')
