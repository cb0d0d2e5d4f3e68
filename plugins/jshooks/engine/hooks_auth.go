package engine

import "github.com/pocketbase/pocketbase/core"

func (e *Engine) bindAuthHooks() {
	a := e.app
	on(e, "OnRecordAuthRequest", a.OnRecordAuthRequest(), func(ev *core.RecordAuthRequestEvent) source {
		return request(authRequestClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordAuthWithPasswordRequest", a.OnRecordAuthWithPasswordRequest(), func(ev *core.RecordAuthWithPasswordRequestEvent) source {
		return request(authWithPasswordClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordAuthWithOAuth2Request", a.OnRecordAuthWithOAuth2Request(), func(ev *core.RecordAuthWithOAuth2RequestEvent) source {
		return request(authWithOAuth2Class, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordAuthRefreshRequest", a.OnRecordAuthRefreshRequest(), func(ev *core.RecordAuthRefreshRequestEvent) source {
		return request(authRefreshClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordAuthWithOTPRequest", a.OnRecordAuthWithOTPRequest(), func(ev *core.RecordAuthWithOTPRequestEvent) source {
		return request(authWithOTPClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordRequestOTPRequest", a.OnRecordRequestOTPRequest(), func(ev *core.RecordCreateOTPRequestEvent) source {
		return request(createOTPClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordRequestPasswordResetRequest", a.OnRecordRequestPasswordResetRequest(), func(ev *core.RecordRequestPasswordResetRequestEvent) source {
		return request(passwordResetClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordConfirmPasswordResetRequest", a.OnRecordConfirmPasswordResetRequest(), func(ev *core.RecordConfirmPasswordResetRequestEvent) source {
		return request(confirmPasswordResetClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordRequestVerificationRequest", a.OnRecordRequestVerificationRequest(), func(ev *core.RecordRequestVerificationRequestEvent) source {
		return request(verificationClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordConfirmVerificationRequest", a.OnRecordConfirmVerificationRequest(), func(ev *core.RecordConfirmVerificationRequestEvent) source {
		return request(confirmVerificationClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordRequestEmailChangeRequest", a.OnRecordRequestEmailChangeRequest(), func(ev *core.RecordRequestEmailChangeRequestEvent) source {
		return request(emailChangeClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnRecordConfirmEmailChangeRequest", a.OnRecordConfirmEmailChangeRequest(), func(ev *core.RecordConfirmEmailChangeRequestEvent) source {
		return request(confirmEmailChangeClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnFileDownloadRequest", a.OnFileDownloadRequest(), func(ev *core.FileDownloadRequestEvent) source {
		return request(fileDownloadClass, ev, ev.RequestEvent, ev.Collection, true)
	})
	on(e, "OnFileTokenRequest", a.OnFileTokenRequest(), func(ev *core.FileTokenRequestEvent) source {
		s := request(fileTokenClass, ev, ev.RequestEvent, nil, false)
		s.tags, s.skip = ev.Tags(), ev.Record != nil && system(ev.Record.Collection())
		return s
	})
	on(e, "OnRealtimeConnectRequest", a.OnRealtimeConnectRequest(), func(ev *core.RealtimeConnectRequestEvent) source {
		return request(realtimeConnectClass, ev, ev.RequestEvent, nil, false)
	})
	on(e, "OnRealtimeMessageSend", a.OnRealtimeMessageSend(), func(ev *core.RealtimeMessageEvent) source {
		return request(realtimeMessageClass, ev, ev.RequestEvent, nil, false)
	})
	on(e, "OnRealtimeSubscribeRequest", a.OnRealtimeSubscribeRequest(), func(ev *core.RealtimeSubscribeRequestEvent) source {
		return request(realtimeSubscribeClass, ev, ev.RequestEvent, nil, false)
	})
}

// hookNames are the hooks that scripts can register, by their JavaScript name.
var hookNames = []string{
	"onModelValidate", "onModelCreate", "onModelCreateExecute", "onModelAfterCreateSuccess", "onModelAfterCreateError",
	"onModelUpdate", "onModelUpdateExecute", "onModelAfterUpdateSuccess", "onModelAfterUpdateError",
	"onModelDelete", "onModelDeleteExecute", "onModelAfterDeleteSuccess", "onModelAfterDeleteError",
	"onRecordEnrich", "onRecordValidate", "onRecordCreate", "onRecordCreateExecute", "onRecordAfterCreateSuccess",
	"onRecordAfterCreateError", "onRecordUpdate", "onRecordUpdateExecute", "onRecordAfterUpdateSuccess",
	"onRecordAfterUpdateError", "onRecordDelete", "onRecordDeleteExecute", "onRecordAfterDeleteSuccess", "onRecordAfterDeleteError",
	"onCollectionValidate", "onCollectionCreate", "onCollectionCreateExecute", "onCollectionAfterCreateSuccess",
	"onCollectionAfterCreateError", "onCollectionUpdate", "onCollectionUpdateExecute", "onCollectionAfterUpdateSuccess",
	"onCollectionAfterUpdateError", "onCollectionDelete", "onCollectionDeleteExecute", "onCollectionAfterDeleteSuccess",
	"onCollectionAfterDeleteError",
	"onMailerSend", "onMailerRecordAuthAlertSend", "onMailerRecordPasswordResetSend", "onMailerRecordVerificationSend",
	"onMailerRecordEmailChangeSend", "onMailerRecordOTPSend",
	"onRecordsListRequest", "onRecordViewRequest", "onRecordCreateRequest", "onRecordUpdateRequest", "onRecordDeleteRequest",
	"onCollectionsListRequest", "onCollectionViewRequest", "onCollectionCreateRequest", "onCollectionUpdateRequest",
	"onCollectionDeleteRequest", "onCollectionsImportRequest", "onBatchRequest",
	"onRecordAuthRequest", "onRecordAuthWithPasswordRequest", "onRecordAuthWithOAuth2Request", "onRecordAuthRefreshRequest",
	"onRecordAuthWithOTPRequest", "onRecordRequestOTPRequest", "onRecordRequestPasswordResetRequest",
	"onRecordConfirmPasswordResetRequest", "onRecordRequestVerificationRequest", "onRecordConfirmVerificationRequest",
	"onRecordRequestEmailChangeRequest", "onRecordConfirmEmailChangeRequest", "onFileDownloadRequest", "onFileTokenRequest",
	"onRealtimeConnectRequest", "onRealtimeMessageSend", "onRealtimeSubscribeRequest",
}

// refusedHooks belong to the server and not to the project.
var refusedHooks = []string{
	"onBootstrap", "onServe", "onTerminate", "onBackupCreate", "onBackupRestore",
	"onSettingsListRequest", "onSettingsUpdateRequest", "onSettingsReload",
}
