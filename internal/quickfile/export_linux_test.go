// SPDX-License-Identifier: AGPL-3.0-or-later

package quickfile

// CreateNamed is what CreateUnnamed does where the file system knows no files without a name.
var CreateNamed = createNamed
