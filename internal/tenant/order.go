package tenant

import "github.com/pocketbase/pocketbase/apis"

// The order of the middlewares, outermost first, around PocketBase's own:
// lower is further out. A request passes them from the top down, its response
// from the bottom up. order_test.go holds the chain that results.
const (
	// Before anything looks at a request, it comes from where the client is.
	priorityRouters = priorityErrors - 5

	// Everything that goes wrong further in leaves through here.
	priorityErrors = apis.DefaultCorsMiddlewarePriority - 20

	// In the place of PocketBase's CORS, under its id. Outside of all else that
	// answers, so that pages can read refusals too.
	priorityCORS = priorityErrors + 5

	// Draining refuses before anything is counted or logged.
	priorityDrain = priorityCORS + 5

	// Headers that strangers may not set are dropped before anyone reads them.
	priorityTrustedProxies = priorityDrain + 5

	// Inside of the activity logger, which stores what usage learns.
	priorityUsage = apis.DefaultActivityLoggerMiddlewarePriority + 5

	// Between PocketBase's panic recovery and its loading of tokens. Strangers
	// are turned away before a key is looked at; limits need to know the key. A
	// server that lost its project refuses writes before they cost anything.
	priorityReplicaGate = apis.DefaultPanicRecoverMiddlewarePriority + 3
	priorityIPAllowlist = apis.DefaultPanicRecoverMiddlewarePriority + 4
	priorityAPIKeys     = apis.DefaultPanicRecoverMiddlewarePriority + 5
	priorityRateLimit   = apis.DefaultPanicRecoverMiddlewarePriority + 6

	// Innermost: it knows who is calling, and reads only bodies within the limit.
	priorityAudit = apis.DefaultBodyLimitMiddlewarePriority + 1

	// Inside of the audit trail, which records what is done on that page.
	priorityBackupsPage = priorityAudit + 1

	// A file is fetched for those only whom all limits let pass.
	priorityFiles = priorityAudit + 2
)

// priorityListen opens the address when all else of a start has gone well.
const priorityListen = 10_000

// The order at the end of the process. PocketBase's graceful shutdown cancels
// every request, so draining comes before it; its priority is not exported.
const (
	pocketbaseShutdownPriority = -9999
	priorityTerminate          = pocketbaseShutdownPriority - 1
)
