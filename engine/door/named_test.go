// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import (
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
)

// TestErrorsNameTheServer: whatever keeps an association from being opened is told without where the server is and what
// its AE title is.
func TestErrorsNameTheServer(t *testing.T) {
	const addr, title = "pacs-host.invalid:10417", "HIDDEN-AET"
	certificate := x509.HostnameError{
		Certificate: &x509.Certificate{DNSNames: []string{"pacs-host.invalid"}}, Host: "pacs-host.invalid",
	}
	for name, err := range map[string]error{
		"no connection":     &ul.ConnectError{Addr: addr, What: "nothing listens there"},
		"certificate":       &ul.ConnectError{Addr: addr, What: "its certificate is for another, not for pacs-host.invalid", Err: certificate},
		"rejected":          &ul.RejectedError{AssociateRJ: ul.AssociateRJ{Source: ul.RejectedByUser, Reason: ul.ReasonCalledAE}, Addr: addr, CalledAE: title},
		"no DICOM":          &ul.NotDICOMError{Addr: addr, Got: "HTTP"},
		"nothing is common": &dimse.NoContextsError{Addr: addr, Proposed: 1},
	} {
		text := Peer{Name: "Archive", Addr: addr, CalledAE: title}.named(err).Error()
		for _, secret := range []string{"pacs-host", "10417", title} {
			require.NotContains(t, text, secret, name)
		}
		require.Contains(t, text, "Archive", name)
	}
}
