return { msg = { alarm = true, alarmTemperature = msg.temperature },
  msgType = "POST_ATTRIBUTES_REQUEST" }
