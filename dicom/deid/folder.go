// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import "encoding/hex"

// FolderMark returns what stands for a text in a folder of de-identified files, 32 hexadecimal digits: who has the key
// finds it again, and nobody else learns of text or key. It tells whether two runs into a folder belong together.
func (k Key) FolderMark(text string) string {
	return hex.EncodeToString(newDeriver(k).derive(0, "folder", []byte(text))[:16])
}
