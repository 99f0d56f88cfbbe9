module Regatta.Node.Tests.ReferenceDocsTests

open System.IO
open Expecto

let tests =
    testList
        "the reference documents"
        [ for name, make in ReferenceDocs.documents ->
              test $"docs/reference/{name} says what the code does" {
                  let file = ReferenceDocs.path name

                  if ReferenceDocs.isWriting then
                      Directory.CreateDirectory ReferenceDocs.directory |> ignore
                      File.WriteAllText(file, make ())

                  let stored = if File.Exists file then File.ReadAllText file else ""
                  Expect.equal stored (make ()) $"{name} is out of date: run with REGATTA_WRITE_DOCS=1 and commit it"
              } ]
