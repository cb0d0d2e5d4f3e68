// An SMTP server that keeps what it gets: enough of the protocol for PocketBase.

import { createServer } from 'node:net'
import { until } from './server.js'

export class Mailbox {
  static async start() {
    const mailbox = new Mailbox()
    mailbox.mails = []
    mailbox.server = createServer((socket) => mailbox.serve(socket))
    await new Promise((resolve) => mailbox.server.listen(0, '127.0.0.1', resolve))
    mailbox.port = mailbox.server.address().port
    return mailbox
  }

  serve(socket) {
    let buffer = ''
    let mail = null
    const answer = (line) => socket.write(line + '\r\n')
    answer('220 mailbox')
    socket.on('error', () => {}).setEncoding('utf8').on('data', (text) => {
      buffer += text
      for (;;) {
        const end = buffer.indexOf(mail?.data ? '\r\n.\r\n' : '\r\n')
        if (end < 0) return
        const line = buffer.slice(0, end)
        if (mail?.data) {
          buffer = buffer.slice(end + 5)
          this.mails.push({ to: mail.to, text: decode(line) })
          mail = null
          answer('250 kept')
          continue
        }
        buffer = buffer.slice(end + 2)
        if (/^MAIL/i.test(line)) mail = {}
        if (/^RCPT/i.test(line)) mail.to = /<(.*)>/.exec(line)[1]
        if (/^DATA/i.test(line)) {
          mail.data = true
          answer('354 go on')
        } else if (/^QUIT/i.test(line)) {
          answer('221 bye')
          socket.end()
        } else answer('250 ok')
      }
    })
  }

  /** Waits for a mail to an address that matches a pattern, takes it, and returns the pattern's first group. */
  async take(to, pattern) {
    const found = (mail) => mail.to === to && pattern.test(mail.text)
    const mail = await until(`a mail to ${to}`, () => this.mails.find(found))
    this.mails.splice(this.mails.indexOf(mail), 1)
    return pattern.exec(mail.text)[1]
  }

  close() {
    return new Promise((resolve) => this.server.close(resolve))
  }
}

// Quoted-printable, without regard to anything else.
function decode(text) {
  return text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
}
