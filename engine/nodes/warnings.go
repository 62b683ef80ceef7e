// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import "strings"

// Warnings says what people should know of a server's settings that are allowed all the same.
func (n DICOMNode) Warnings() []string {
	s := n.Server
	if s == nil || s.WebAuth == AuthNone || !strings.HasPrefix(strings.ToLower(s.WebRootUrl), "http:") {
		return nil
	}
	what := "the credentials"
	if s.WebAuth == AuthBasic {
		what = "user and password"
	}
	return []string{
		"The root URL (dicomweb.root_url) begins with http://: whoever is on the way can read " + what +
			", and the studies. Use https:// if the server speaks TLS.",
	}
}
