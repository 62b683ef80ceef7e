// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// FolderMark gives what stands for a text in a folder of de-identified files, 32 hexadecimal digits: who has the key finds
// it again, and nobody else learns of text or key. It tells whether two runs into a folder belong together.
func (k Key) FolderMark(text string) string {
	mac := hmac.New(sha256.New, k[:])
	_, _ = mac.Write([]byte("\x00\x00\x00\x00folder\x00" + text)) // a hash takes everything
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
