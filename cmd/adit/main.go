// SPDX-License-Identifier: AGPL-3.0-or-later

// Command adit is ADIT: the server and its command line.
package main

import (
	"os"

	"github.com/adit-go/adit/cli"
)

func main() {
	os.Exit(cli.Main(os.Args))
}
