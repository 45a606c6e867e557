-- What a message was that no other branch takes: one line in the log.
return msgType .. " " .. json.encode(msg)
