// Where the client's suites run: at a server by itself, and at a project of a
// platform, which is reached by its name through the router.

import './localhost.js'
import { Platform } from './platform.js'
import { Server } from './server.js'

/** A project with what tests use of a Server. */
export class Project extends Server {
  /** Starts a platform with the options of Platform.start, for its first project. */
  static async start(options) {
    const project = new Project()
    project.platform = await Platform.start(options)
    const { id, url, keys } = project.platform.first.project
    return Object.assign(project, { id, url }, keys)
  }

  superuserToken() {
    const { email, password } = this.platform.first
    return super.superuserToken(email, password)
  }

  async restart() {
    const answer = await this.platform.api(`/projects/${this.id}/restart`, { method: 'POST' })
    if (answer.status !== 200) throw new Error(`restart: ${answer.text}`)
  }

  close() {
    return this.platform.close()
  }
}

export const targets = { 'a server by itself': Server, 'a project behind the router': Project }
