// SPDX-License-Identifier: AGPL-3.0-or-later

package fault

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/web"
)

// Answers of DICOMweb by which a server says that it has too much to do, and that it failed in what may work another
// time (RFC 9110 15, RFC 6585, RFC 4918).
var (
	webBusy   = []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage}
	webFailed = []int{
		http.StatusRequestTimeout, http.StatusFailedDependency, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusGatewayTimeout,
	}
	webForbidden = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired}
)

// IsWebAnswer reports whether an error is an answer of DICOMweb with one of some statuses.
func IsWebAnswer(err error, statuses ...int) bool { return webAnswer(err, statuses) }

// webAnswer reports whether an error is an answer of DICOMweb with one of some statuses.
func webAnswer(err error, statuses []int) bool {
	answer, ok := errors.AsType[*web.StatusError](err)
	return ok && slices.Contains(statuses, answer.Code)
}

// WebBusy reports whether a server answered by DICOMweb that it has too much to do, or no room.
func WebBusy(err error) bool { return webAnswer(err, webBusy) }

// Unauthorized reports whether a server of DICOMweb does not take what ADIT shows it: all tasks would fare alike.
func Unauthorized(err error) bool {
	return webAnswer(err, []int{http.StatusUnauthorized, http.StatusProxyAuthRequired})
}

// longestWait is how long a server is let alone at most because it says so: a clock that is wrong must not stop a
// night's work.
const longestWait = time.Hour

// AskedToWait returns how long a server that has too much to do, or has failed in what may work another time, asks not
// to be asked again (Retry-After, RFC 9110 10.2.3), an hour at the most; 0: it doesn't.
func AskedToWait(err error) time.Duration {
	answer, ok := errors.AsType[*web.StatusError](err)
	if !ok || !slices.Contains(webBusy, answer.Code) && !slices.Contains(webFailed, answer.Code) {
		return 0
	}
	return min(max(answer.RetryAfter, 0), longestWait)
}

// webUnreachable reports whether a server can't be reached by DICOMweb now, or its tokens are not available, or it has
// too much to do.
func webUnreachable(err error) bool {
	if connect, ok := errors.AsType[*web.ConnectError](err); ok {
		return !connect.Settings
	}
	if token, ok := errors.AsType[*web.TokenError](err); ok {
		return token.Transient
	}
	return WebBusy(err)
}

// webNeedsSettings reports whether a setting or a credential has to be corrected.
func webNeedsSettings(err error) bool {
	if connect, ok := errors.AsType[*web.ConnectError](err); ok {
		return connect.Settings
	}
	if token, ok := errors.AsType[*web.TokenError](err); ok {
		return !token.Transient
	}
	_, redirected := errors.AsType[*web.RedirectError](err)
	return redirected || webAnswer(err, webForbidden)
}

// webRefused reports whether a server answered that it doesn't do what was asked.
func webRefused(err error) bool {
	_, answered := errors.AsType[*web.StatusError](err)
	return webNeedsSettings(err) || answered && !webFailure(err) && !WebBusy(err)
}

// webDeclined reports whether a server does not do what was asked at all, whoever asks.
func webDeclined(err error) bool { return webRefused(err) && !webNeedsSettings(err) }

// webFailure reports whether a server failed in its answer, or an answer broke off or can't be understood.
func webFailure(err error) bool {
	var broken *web.BrokenError
	var timeout *web.TimeoutError
	var answer *web.AnswerError
	return errors.As(err, &broken) || errors.As(err, &timeout) || errors.As(err, &answer) || webAnswer(err, webFailed)
}
