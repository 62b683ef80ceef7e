// SPDX-License-Identifier: AGPL-3.0-or-later

package cluster

//go:generate ../../scripts/protoc peers.proto
