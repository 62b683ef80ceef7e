// SPDX-License-Identifier: AGPL-3.0-or-later

// Package deid de-identifies DICOM objects by PS3.15 Annex E. See DESIGN.md.
package deid
