import { watch } from 'vue'
import { createRouter, createWebHistory } from 'vue-router'
import { user } from './pb'
import ForgotPassword from './pages/ForgotPassword.vue'
import Posts from './pages/Posts.vue'
import ResetPassword from './pages/ResetPassword.vue'
import SignIn from './pages/SignIn.vue'
import SignUp from './pages/SignUp.vue'

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', component: Posts, meta: { for: 'users' } },
    { path: '/sign-in', component: SignIn, meta: { for: 'guests' } },
    { path: '/sign-up', component: SignUp, meta: { for: 'guests' } },
    { path: '/forgot-password', component: ForgotPassword },
    { path: '/reset-password', component: ResetPassword },
    { path: '/:rest(.*)', redirect: '/' },
  ],
})

router.beforeEach((to) => elsewhere(to.meta.for))
watch(user, () => {
  const path = elsewhere(router.currentRoute.value.meta.for)
  if (path) router.push(path)
})

/** Where somebody must go who may not be on a page. */
function elsewhere(pageIsFor: unknown) {
  if (pageIsFor == 'users' && !user.value) return '/sign-in'
  if (pageIsFor == 'guests' && user.value) return '/'
  return undefined
}
