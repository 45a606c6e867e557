return { msg = { alarm = false, alarmTemperature = msg.temperature },
  msgType = "POST_ATTRIBUTES_REQUEST" }
