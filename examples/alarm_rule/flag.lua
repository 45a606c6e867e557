-- From here on the message is about attributes: the next node saves them.
local high = tonumber(msg.temperature) > 30
log.info(metadata.deviceName, high and "is too hot:" or "is fine:", msg.temperature)
return {
  msg = { alarm = high, alarmTemperature = msg.temperature },
  msgType = "POST_ATTRIBUTES_REQUEST",
}
