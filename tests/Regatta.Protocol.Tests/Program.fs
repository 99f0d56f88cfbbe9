module Program

open Expecto
open Regatta.Testing

[<EntryPoint>]
let main argv =
    TestEntry.run
        (testList
            "protocol"
            [ WireNumbers.tests
              Messages.tests
              SessionTokens.tests
              Encodings.tests
              DamagedEncodings.tests
              EncodingsOverGrpc.tests
              Channels.tests ])
        argv
