// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"testing"

	"github.com/adit-go/adit/cli"
	"github.com/adit-go/adit/test/process"
)

func TestMain(m *testing.M) { process.Main(m, cli.Main) }
