// Generated from the project's collections by picobase typegen. Do not edit: it is written again.
/* eslint-disable */

export interface Schema {
  posts: {
    Row: {
      id: string
      title: string
      slug: string
      views: number
      price: number
      draft: boolean
      contact: string
      link: string
      body: string
      at: string
      created: string
      status: 'draft' | 'it\'s "quoted" \\ <b>&'
      mood: '' | 'good' | 'bad'
      tags: ('a' | 'b')[]
      meta: unknown
      where: { lon: number; lat: number }
      cover: string
      files: string[]
      author: string
      related: string[]
      system: string
      collectionId: string
      collectionName: 'posts'
    }
    Insert: {
      id?: string
      title: string
      slug?: string
      views?: number
      price: number
      draft?: boolean
      contact?: string
      link: string
      body?: string
      at?: string | Date
      status: 'draft' | 'it\'s "quoted" \\ <b>&'
      mood?: '' | 'good' | 'bad'
      tags?: ('a' | 'b')[]
      meta?: unknown
      where?: { lon: number; lat: number }
      cover?: File | Blob | ''
      files?: File | Blob | (File | Blob | string)[]
      author: string
      related?: string[]
      system?: string
    }
    Update: {
      title?: string
      slug?: string
      views?: number
      'views+'?: number
      'views-'?: number
      price?: number
      'price+'?: number
      'price-'?: number
      draft?: boolean
      contact?: string
      link?: string
      body?: string
      at?: string | Date
      status?: 'draft' | 'it\'s "quoted" \\ <b>&'
      mood?: '' | 'good' | 'bad'
      tags?: ('a' | 'b')[]
      'tags+'?: 'a' | 'b' | ('a' | 'b')[]
      '+tags'?: 'a' | 'b' | ('a' | 'b')[]
      'tags-'?: 'a' | 'b' | ('a' | 'b')[]
      meta?: unknown
      where?: { lon: number; lat: number }
      cover?: File | Blob | ''
      'cover-'?: string | string[]
      files?: File | Blob | (File | Blob | string)[]
      'files+'?: File | Blob | (File | Blob)[]
      '+files'?: File | Blob | (File | Blob)[]
      'files-'?: string | string[]
      author?: string
      related?: string[]
      'related+'?: string | string[]
      '+related'?: string | string[]
      'related-'?: string | string[]
      system?: string
    }
    Expand: {
      author: 'users'
      related: 'posts'[]
      posts_via_related: 'posts'[]
    }
    type: 'base'
  }
  profile: {
    Row: {
      id: string
      user: string
      collectionId: string
      collectionName: 'profile'
    }
    Insert: {
      id?: string
      user?: string
    }
    Update: {
      user?: string
    }
    Expand: {
      user: 'users'
    }
    type: 'base'
  }
  stats: {
    Row: {
      id: string
      total: unknown
      author: string
      collectionId: string
      collectionName: 'stats'
    }
    Expand: {
      author: 'users'
    }
    type: 'view'
  }
  users: {
    Row: {
      id: string
      email: string
      emailVisibility: boolean
      verified: boolean
      name: string
      avatar: string
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
      profile_via_user: 'profile'
    }
    type: 'auth'
  }
}
