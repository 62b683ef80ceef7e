// SPDX-License-Identifier: AGPL-3.0-or-later

package doctor

import (
	"errors"
	"net/http"
	"strings"

	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
)

// says is an error of DICOMweb as a sentence, with which settings may be wrong.
func (d *webDoctor) says(err error) string {
	text := fault.Sentence(err)
	if advice := d.advice(err); advice != "" {
		return text + " " + advice
	}
	return text
}

// advice names the settings that an error may come from.
func (d *webDoctor) advice(err error) string {
	_, page := errors.AsType[*web.AnswerError](err)
	_, broken := errors.AsType[*web.BrokenError](err)
	_, silent := errors.AsType[*web.TimeoutError](err)
	connect, away := errors.AsType[*web.ConnectError](err)
	token, noToken := errors.AsType[*web.TokenError](err)
	redirect, redirected := errors.AsType[*web.RedirectError](err)
	switch {
	case redirected && redirect.To != "":
		return "It redirects to " + redirect.To + ": if that is right set it as the root URL (dicomweb.root_url)."
	case fault.IsWebAnswer(err, http.StatusUnauthorized):
		return d.credentials()
	case fault.IsWebAnswer(err, http.StatusForbidden) && d.node.Server.WebAuth == nodes.AuthOAuth2:
		return "The token that ADIT got may be for something else: check dicomweb.scope, dicomweb.audience and " +
			"dicomweb.resource."
	case fault.IsWebAnswer(err, http.StatusBadRequest):
		return "Check the root URL (dicomweb.root_url): whether it ends with the path of DICOMweb, such as /dicom-web, and " +
			"begins with https:// if the server speaks TLS."
	case fault.IsWebAnswer(err, notOffered...):
		return "The root URL (dicomweb.root_url) ends with the path below which the server has /studies, such as " +
			"/dicom-web or /dcm4chee-arc/aets/AET/rs; if QIDO-RS has a path of its own, set dicomweb.qido_prefix."
	case page && d.node.Server.WebAuth == nodes.AuthNone:
		return "If that is a page to log in at, the server wants to know who ADIT is (dicomweb.auth); else check the path " +
			"of the root URL (dicomweb.root_url)."
	case page:
		return "Check the path of the root URL (dicomweb.root_url), and whether the server takes credentials in this way " +
			"(dicomweb.auth)."
	case broken || silent:
		return "Something else than DICOMweb may listen there: the port of the root URL (dicomweb.root_url) is that of " +
			"HTTP, not that of DIMSE, and the URL begins with https:// if the server speaks TLS."
	case away && connect.Settings:
		return d.trust()
	case noToken && !token.Transient:
		return "Check dicomweb.token_url, dicomweb.client_id, dicomweb.client_auth and the secret."
	}
	return ""
}

// credentials says what to look at where the server wants other ones.
func (d *webDoctor) credentials() string {
	switch d.node.Server.WebAuth {
	case nodes.AuthBasic:
		return "Set dicomweb.user and dicomweb.secret to a user and a password that the server knows."
	case nodes.AuthHeader:
		return "Set dicomweb.secret to a value that the server takes, whole, such as Bearer and the token, and check " +
			"the name of the header (dicomweb.header_name)."
	case nodes.AuthOAuth2:
		return "The server does not take the token: check dicomweb.scope, dicomweb.audience and dicomweb.resource."
	}
	return "The server wants to know who ADIT is: set dicomweb.auth to basic, header or oauth2, with its secret."
}

// trust says what to look at where TLS fails.
func (d *webDoctor) trust() string {
	if !strings.HasPrefix(d.node.Server.WebRootUrl, "https:") {
		return ""
	}
	return "The authorities that ADIT trusts there are those of tls.authorities (--tls-ca), else those of its system; " +
		"the host in the root URL must be in the certificate."
}
