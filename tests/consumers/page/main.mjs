// SPDX-License-Identifier: MIT
import { connect } from 'countersign'

globalThis.connect = connect
