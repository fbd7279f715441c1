// SPDX-License-Identifier: MIT
import { answer } from '../../server.js'

export { answer as GET, answer as POST }
