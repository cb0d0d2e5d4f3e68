// Generated from the project's collections by picobase typegen. Do not edit: it is written again.
/* eslint-disable */

export interface Schema {
  posts: {
    Row: {
      id: string
      title: string
      published: boolean
      author: string
      created: string
      updated: string
      collectionId: string
      collectionName: 'posts'
    }
    Insert: {
      id?: string
      title: string
      published?: boolean
      author: string
    }
    Update: {
      title?: string
      published?: boolean
      author?: string
    }
    Expand: {
      author: 'users'
    }
    type: 'base'
  }
  users: {
    Row: {
      id: string
      email: string
      emailVisibility: boolean
      verified: boolean
      name: string
      avatar: string
      created: string
      updated: string
      collectionId: string
      collectionName: 'users'
    }
    Insert: {
      id?: string
      email: string
      emailVisibility?: boolean
      verified?: boolean
      name?: string
      avatar?: File | Blob | ''
      password: string
      passwordConfirm: string
    }
    Update: {
      email?: string
      emailVisibility?: boolean
      verified?: boolean
      name?: string
      avatar?: File | Blob | ''
      'avatar-'?: string | string[]
      oldPassword?: string
      password?: string
      passwordConfirm?: string
    }
    Expand: {
      posts_via_author: 'posts'[]
    }
    type: 'auth'
  }
}
