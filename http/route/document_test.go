// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Each status has a response of its own name.
func TestDocumentRefusals(t *testing.T) {
	require.Len(t, refusalResponses(), len(refusals))
}
