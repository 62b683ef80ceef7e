// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/adit-go/adit/internal/testpeer"
)

func TestMain(m *testing.M) {
	testpeer.Isolate()
	goleak.VerifyTestMain(m)
}
