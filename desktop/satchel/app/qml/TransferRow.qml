import QtQuick
import QtQuick.Controls.Basic

// One transfer. Ctrl+C copies its link, Delete cancels it.
Rectangle {
    id: row
    required property string transferId
    required property string name
    required property string badge
    required property string tile
    required property string detail
    required property string tone
    required property real progress
    required property string stage
    required property bool canCancel
    required property bool canPause
    required property bool canResume
    required property bool canRetry
    required property bool canCopy
    required property bool canMakeLink
    required property string link
    required property string localPath

    readonly property bool narrow: width < 560
    readonly property bool tight: width < 440
    readonly property color moving: stage === "failed" || tone === "bad" ? Tokens.bad : stage === "paused" ? Tokens.quiet : Tokens.accent

    height: 84
    radius: Tokens.radius
    color: Tokens.card
    border.width: 1
    border.color: Tokens.line
    readonly property bool over: stage === "cancelled"
    function copyLink() {
        if (canCopy)
            satchel.copy(link)
        else if (canMakeLink)
            satchel.copyLinkTo(localPath)
    }

    activeFocusOnTab: true
    Accessible.role: Accessible.ListItem
    Accessible.name: name
    Accessible.description: detail
    Keys.onPressed: event => {
        if (event.matches(StandardKey.Copy) && (row.canCopy || row.canMakeLink)) {
            row.copyLink()
            event.accepted = true
        } else if (event.key === Qt.Key_Delete && row.canCancel) {
            satchel.transfer("cancel", row.transferId)
            event.accepted = true
        }
    }
    FocusRing { control: row }

    Rectangle {
        id: tileShape
        x: row.tight ? 12 : 15
        anchors.verticalCenter: parent.verticalCenter
        width: row.tight ? 48 : 60
        height: width
        radius: 14
        opacity: row.over ? 0.45 : 1
        gradient: Gradient {
            GradientStop { position: 0; color: (Tokens.tiles[row.tile] ?? Tokens.tiles.other)[0] }
            GradientStop { position: 1; color: (Tokens.tiles[row.tile] ?? Tokens.tiles.other)[1] }
        }
        Text {
            anchors.centerIn: parent
            visible: row.tile !== "folder"
            text: row.badge
            color: "white"
            font.pixelSize: Tokens.tiny
            font.weight: Font.Bold
            Accessible.ignored: true
        }
        Icon { visible: row.tile === "folder"; anchors.centerIn: parent; width: 28; height: 28; path: Icons.folder; color: "white" }
    }
    Column {
        anchors { left: tileShape.right; leftMargin: row.tight ? 12 : 17; right: actions.left; rightMargin: row.tight ? 8 : 18; verticalCenter: parent.verticalCenter }
        spacing: 4
        Text {
            width: parent.width
            text: row.name
            textFormat: Text.PlainText
            elide: Text.ElideMiddle
            maximumLineCount: 1
            color: row.over ? Tokens.quiet : Tokens.text
            font.pixelSize: Tokens.body
            font.weight: row.over ? Font.Medium : Font.DemiBold
            Accessible.ignored: true
        }
        Text {
            width: parent.width
            text: row.detail
            textFormat: Text.PlainText
            elide: Text.ElideRight
            color: row.stage === "failed" || row.tone === "bad" ? Tokens.bad : Tokens.quiet
            font.pixelSize: Tokens.small
            Accessible.ignored: true
        }
        Rectangle {
            visible: row.progress >= 0
            width: parent.width
            height: 7
            radius: 3.5
            color: Tokens.track
            Accessible.role: Accessible.ProgressBar
            Accessible.name: qsTr("%1 percent of %2").arg(Math.round(row.progress * 100)).arg(row.name)
            Rectangle {
                width: Math.max(row.progress > 0 ? 7 : 0, parent.width * Math.min(1, row.progress))
                height: parent.height
                radius: parent.radius
                color: row.moving
            }
        }
    }
    Row {
        id: actions
        anchors { right: parent.right; rightMargin: row.tight ? 12 : 19; verticalCenter: parent.verticalCenter }
        spacing: row.tight ? 2 : 8
        PushButton {
            visible: row.canCancel
            kind: "bare"
            glyph: Icons.close
            implicitWidth: 41
            hint: qsTr("Cancel %1").arg(row.name)
            onClicked: satchel.transfer("cancel", row.transferId)
        }
        PushButton {
            visible: row.canPause && !row.narrow
            kind: "bare"
            glyph: Icons.pause
            implicitWidth: 41
            hint: qsTr("Pause %1").arg(row.name)
            onClicked: satchel.transfer("pause", row.transferId)
        }
        PushButton {
            readonly property bool brief: row.narrow || row.canResume
            visible: (row.canCopy || row.canMakeLink) && !row.canRetry
            implicitWidth: brief ? 41 : 140
            kind: "soft"
            text: brief ? "" : qsTr("Copy link")
            hint: qsTr("Copy link to %1").arg(row.name)
            glyph: Icons.link
            onClicked: row.copyLink()
        }
        PushButton {
            visible: row.canResume
            implicitWidth: row.narrow ? 41 : 140
            text: row.narrow ? "" : qsTr("Resume")
            hint: qsTr("Resume %1").arg(row.name)
            glyph: Icons.play
            onClicked: satchel.transfer("resume", row.transferId)
        }
        PushButton {
            visible: row.canRetry
            implicitWidth: row.narrow ? 41 : 140
            text: row.narrow ? "" : qsTr("Retry")
            hint: qsTr("Retry %1").arg(row.name)
            glyph: Icons.retry
            onClicked: satchel.transfer("retry", row.transferId)
        }
    }
}
