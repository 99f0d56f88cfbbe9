namespace Regatta.Toxiproxy.Server

/// What the API answers when it does not do what it is asked.
type internal Refusal = { Message: string; Status: int }

module internal Refusal =
    let badBody why = { Message = $"bad request body: {why}"; Status = 400 }
    let missingField what = { Message = $"missing required field: {what}"; Status = 400 }
    let invalidStream = { Message = "stream was invalid, can be either upstream or downstream"; Status = 400 }
    let invalidToxicType = { Message = "invalid toxic type"; Status = 400 }
    let proxyNotFound = { Message = "proxy not found"; Status = 404 }
    let toxicNotFound = { Message = "toxic not found"; Status = 404 }
    let proxyAlreadyExists = { Message = "proxy already exists"; Status = 409 }
    let toxicAlreadyExists = { Message = "toxic already exists"; Status = 409 }
    let cannotListen why = { Message = why; Status = 500 }
