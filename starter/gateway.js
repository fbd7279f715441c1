import {
  createGateway,
  enrollment,
  memoryStores,
  nodeHandler,
  nodeServer,
  route,
  serverKeyFile
} from 'countersign/server'
import { z } from 'zod'

const shared = { ...memoryStores(), label: 'notes', signer: serverKeyFile('server.key') }
const mailer = ({ email, code }) => console.log(`To ${email}: your code is ${code}`)

export const routes = {
  'note.add': route({
    input: z.object({ text: z.string().max(200) }),
    output: z.object({ length: z.number() }),
    handler: async ({ input, userId }) => {
      await gateway.publish({ userId }, 'note.added', JSON.stringify(input))
      return { length: input.text.length }
    }
  })
}

const origins = ['http://localhost:5173']
const gateway = createGateway({ ...shared, routes, origins, enrollment: enrollment({ ...shared, mailer }) })
nodeServer(nodeHandler(gateway)).listen(8080)
